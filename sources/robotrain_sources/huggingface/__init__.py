"""A repository of the Hugging Face Hub: `pin` finds its commit at submit, `fetch` brings the files to the job."""
