"""What makes and keeps records: the command line and what its commands do."""
