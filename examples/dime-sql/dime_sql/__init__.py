"""SQL conditions on a table: a grammar of them, and how well one finds the rows that it should."""
