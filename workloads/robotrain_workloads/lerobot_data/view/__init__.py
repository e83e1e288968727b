"""What the page of `robotrain data view` shows, collected by a child process with numpy, pyarrow, PyAV and Pillow."""
