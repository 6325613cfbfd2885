"""What ours takes beside others: a module for each part that is measured (`python -m bench`), and what they share."""
