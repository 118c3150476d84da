"""What goes wrong in retrieval."""


class RetrievalError(Exception):
    """Nothing can be found at the moment: the index is gone or broken, and building it anew has failed as well."""
