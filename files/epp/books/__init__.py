"""EPP's books: the CSV files, the state file, and the order in which they are written."""
