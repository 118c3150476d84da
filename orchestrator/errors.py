"""Every error MDL raises on purpose. Each text says what happened, where, and what to do.

MDLError
├── SettingsError          a file or value a person wrote
│   ├── GoalError          a goal that cannot be set
│   └── ExpressionError    CEL that does not compile, or fields nobody has
├── EvaluationError        CEL that compiled but gave an error on this value
├── SinkError              what would say where a call goes, or what it runs, has not the shape for it
├── JournalError           the journal cannot take or give records
│   ├── JournalBusy        somebody else owns it
│   ├── JournalFull        the queue is full, or the disk; come back later
│   ├── JournalBroken      the chain or the format does not hold
│   └── BodyGone           a record's body, or all of it, went with `[journal] keep`
├── AccessError            who asks may not do this (has .status for HTTP)
├── MaskError              a mask that stands for nothing, or a vault that cannot be used
├── CheckpointError        a signed checkpoint does not fit, cannot be made, or was not taken
├── SourceError            a source cannot be read
│   ├── EventError         what came in is no event (has .status for HTTP)
│   └── SignatureError     what came in is not signed as it should be
├── PlannerError           this planner has no answer; the next one is asked
│   └── ModelError         the model is away, slow, or answers nonsense
└── ToolError              a tool is unknown, down, or said no
    ├── ToolMissing        no such server or tool
    └── ToolUncertain      nobody knows whether the call took effect
"""


class MDLError(Exception):
    """The root: catch this to catch everything MDL raises on purpose."""


class SettingsError(MDLError):
    """A file or value a person wrote cannot be used."""


class GoalError(SettingsError):
    """A goal cannot be set."""


class ExpressionError(SettingsError):
    """CEL that does not compile, or that reads fields nobody has."""


class EvaluationError(MDLError):
    """CEL that compiled gave an error on this value; never a match."""


class SinkError(MDLError):
    """What would enter a sink has not the shape for it; the call is not made."""


class JournalError(MDLError):
    """The journal cannot take or give records."""


class JournalBusy(JournalError):  # noqa: N818  a state, and the name people search for
    """Another process owns the journal."""


class JournalFull(JournalError):  # noqa: N818  a state, and the name people search for
    """The queue or the disk is full: nothing was stored, try again after `retry_after` seconds."""

    def __init__(self, text: str, *, retry_after: float = 1.0) -> None:
        """Say what is full, and when to come back (seconds)."""
        super().__init__(text)
        self.retry_after = retry_after


class JournalBroken(JournalError):  # noqa: N818  a state, and the name people search for
    """The chain does not hold, or the file's format is not known."""


class BodyGone(JournalError):  # noqa: N818  a state
    """A record's body, or all of the record, went with `[journal] keep`."""


class AccessError(MDLError):
    """Who asks may not do this. `status` is 401 where nobody knows who it is, else 403.

    error: as in RFC 6750, empty where no token was sent. scope: the role it takes.
    """

    def __init__(self, text: str, *, status: int = 403, error: str = "insufficient_scope", scope: str = "") -> None:
        """Say what is missing, never what there is."""
        super().__init__(text)
        self.status, self.error, self.scope = status, error, scope


class MaskError(MDLError):
    """A mask stands for nothing, any more, or the vault or its key cannot be used."""


class CheckpointError(MDLError):
    """A signed checkpoint does not fit the journal, cannot be made, or was not taken."""


class SourceError(MDLError):
    """A source cannot be read."""


class EventError(SourceError):
    """What came in is no event. `status` is the HTTP status that says so."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        """Say what is wrong and which HTTP status fits."""
        super().__init__(text)
        self.status = status


class SignatureError(SourceError):
    """What came in is not signed as its source demands."""


class PlannerError(MDLError):
    """This planner has no answer; the next one is asked. `tokens`: what its model took in and gave all the same."""

    tokens: int = 0


class ModelError(PlannerError):
    """The model is away, slow, or answers nonsense."""


class ToolError(MDLError):
    """A tool said no, or its server did. An `@action` raises it to say no in its own words."""


class ToolMissing(ToolError):  # noqa: N818  a state, and the name people search for
    """No such server or tool, or the server is down."""


class ToolUncertain(ToolError):  # noqa: N818  a state, and the name people search for
    """The call was sent and nobody knows whether it took effect. An `@action` that broke off midway raises it."""
