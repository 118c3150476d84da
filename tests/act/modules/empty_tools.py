"""Neither a server nor an action."""
