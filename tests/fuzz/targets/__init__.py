"""The targets by name: the file of this folder with the function, and the modules whose parsing it tries."""

from tests.fuzz.target import Target

_TARGETS = """
sinks.amounts: orchestrator.sinks.amount
answers.any_value: orchestrator.act.results
servers.bodies: mcp_servers.formula.body mcp_servers.formula.batch
tokens.created_tokens: orchestrator.tokens orchestrator.journal.access
tokens.credentials: orchestrator.credential
masks.echoes: orchestrator.masking.echo orchestrator.masking.masking
masks.found_values: orchestrator.masking.detect orchestrator.masking.names orchestrator.masking.numbers
    orchestrator.masking.view
sinks.glances: orchestrator.sinks.glance
masks.masked_values: orchestrator.masking.masking orchestrator.masking.detect orchestrator.masking.mask
masks.masks: orchestrator.masking.mask
masks.named_masks: orchestrator.doors.masks
tokens.token_changes: orchestrator.journal.access
servers.called_urls: mcp_servers.webhook.place mcp_servers.webhook.server
stored.calls: orchestrator.journal.control_socket orchestrator.journal.remote
servers.causes: mcp_servers.cause
stored.changed_rows: orchestrator.observe.rows orchestrator.observe.changes orchestrator.observe.tail
    orchestrator.observe.changelog
stored.checkpoints: orchestrator.journal.checkpoint orchestrator.journal.signing_key
    orchestrator.journal.against
answers.choices: orchestrator.decide.llm orchestrator.decide.answer orchestrator.decide.arguments
doors.cloud_events: orchestrator.observe.cloudevents orchestrator.observe.attributes
written.conditions: orchestrator.expressions.expression orchestrator.expressions.syntax
    orchestrator.expressions.comparisons orchestrator.expressions.reads orchestrator.expressions.complaints
    orchestrator.expressions.values
stored.copied_journals: orchestrator.journal.backup orchestrator.journal.schema orchestrator.journal.verify
    orchestrator.journal.reader
written.cron: orchestrator.observe.rhythm orchestrator.observe.timer
doors.cut_lines: orchestrator.observe.lines orchestrator.observe.jsonl
servers.definitions: mcp_servers.formula.definition mcp_servers.formula.expansion mcp_servers.formula.toml_file
    mcp_servers.formula.library
written.drafts_by_a_model: orchestrator.decide.draft_llm orchestrator.decide.answer
written.durations: orchestrator.clock
stored.exported_journals: orchestrator.journal.archive orchestrator.journal.chain
servers.formula_hosts: mcp_servers.formula.gate
servers.formulas: mcp_servers.formula.syntax mcp_servers.formula.program mcp_servers.formula.functions
    mcp_servers.formula.dates mcp_servers.formula.rolling mcp_servers.formula.series mcp_servers.formula.special
    mcp_servers.formula.arguments mcp_servers.formula.slots
written.goal_tables: orchestrator.written orchestrator.windows orchestrator.orient.conditions
doors.hooks: orchestrator.observe.hooks orchestrator.expressions.values orchestrator.expressions.complaints
doors.hosts_and_origins: orchestrator.observe.gate
doors.instants: orchestrator.observe.attributes
sinks.joined_parts: orchestrator.sinks.parts
answers.listed_tools: orchestrator.act.catalogue orchestrator.act.mcp
answers.ollama: orchestrator.models.ollama
sinks.pinned_literals: orchestrator.sinks.literals orchestrator.guard.globs
stored.replies: orchestrator.journal.control_socket
answers.results: orchestrator.act.results orchestrator.act.content orchestrator.act.mcp
answers.server_lines: orchestrator.act.child
answers.schemas: orchestrator.decide.schema orchestrator.act.arguments orchestrator.decide.ranking
written.sentences: orchestrator.decide.sentence orchestrator.decide.draft orchestrator.decide.wish
    orchestrator.decide.trigger orchestrator.decide.effect orchestrator.decide.frequency
    orchestrator.decide.comparison
written.serialised_trees: orchestrator.expressions.syntax orchestrator.expressions.comparisons
    orchestrator.expressions.reads
servers.server_configs: mcp_servers.config mcp_servers.notify
written.settings_toml: orchestrator.settings orchestrator.policy_table orchestrator.doors.goal_commands
    orchestrator.variables orchestrator.doors.faulty
sinks.shapes: orchestrator.sinks.url orchestrator.sinks.host orchestrator.sinks.segment orchestrator.sinks.path
    orchestrator.sinks.recipient orchestrator.sinks.command orchestrator.sinks.amount orchestrator.sinks.parts
doors.signature_headers: orchestrator.observe.signatures
servers.streams: mcp_servers.formula.stream mcp_servers.formula.figures mcp_servers.formula.windows
doors.strict_json: orchestrator.observe.strict_json
servers.values_of_rows: mcp_servers.records.values mcp_servers.records.store mcp_servers.records.tables
"""


def _read(line: str) -> Target:
    place, _, modules = line.partition(": ")
    file, _, name = place.partition(".")
    return Target(name, file, tuple(modules.split()))


TARGETS: dict[str, Target] = {
    target.name: target for target in map(_read, _TARGETS.strip().replace("\n    ", " ").split("\n"))
}
