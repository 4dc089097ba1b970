"""What makes and keeps records, and the command line."""
