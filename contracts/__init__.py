"""Declarations that all packages share: columns, tables, features, windows, settings."""
