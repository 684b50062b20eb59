"""How far a column's distribution is from another one, and what chance reaches: for gates and monitoring."""
