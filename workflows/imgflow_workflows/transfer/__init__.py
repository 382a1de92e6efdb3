"""Files and objects on their way between stores, folders and archives."""
