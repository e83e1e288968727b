"""What a run left as a version of a model of a workspace, however long ago the run ended."""
