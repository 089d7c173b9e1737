def services(settings): return []
