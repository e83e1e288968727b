"""Source kind of robotrain: folders of objects in S3."""
