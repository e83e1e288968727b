"""What the fetching side of several source kinds shares."""
