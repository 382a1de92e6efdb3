"""Some images and some pipelines in, results a little later: tasks are in Celery, all state is in the store."""
