"""Configuration: the schema of the files, how they are read and checked, and the settings that they mean."""
