"""What travels over the wire: Pydantic models of requests and answers."""
