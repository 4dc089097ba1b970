"""What the notebooks show: a module for each, its tables and figures side by side."""
