"""What every folder agrees on: columns, tables, features, windows, settings."""
