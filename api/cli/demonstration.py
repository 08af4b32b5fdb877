"""`jalon demo`: everything at once, on one machine."""


def demo() -> None:
    """Start all of Jalon with Montréal and Laval, tell its story once, and serve until stopped."""
    from rich.console import Console

    from api.demo.run import run_demo
    from api.logs import configure_logs
    from api.settings import Settings

    configure_logs("warning")
    run_demo(Settings(), Console())
