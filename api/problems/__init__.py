"""What goes wrong, and what the caller is told: situations of the edge, their texts, problem documents of RFC 9457."""
