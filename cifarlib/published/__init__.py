"""What was published: records, tables and nets, and what reads the tables."""
