"""Superset's settings; addresses and secrets come through its environment, from the supervisor.

Read in Superset's environment, so it cannot import modules of the platform.
"""

APP_NAME = "Tollgate"
# No cache: a cached figure would be shown after a new publication.
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
ROW_LIMIT = 10_000
SQLLAB_TIMEOUT = 30
SUPERSET_WEBSERVER_TIMEOUT = 60
ENABLE_CORS = False
ENABLE_UI_THEME_ADMINISTRATION = False
FAB_API_SWAGGER_UI = False
THEME_DARK = None
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://"
SESSION_COOKIE_NAME = "tollgate_superset"
SESSION_COOKIE_SAMESITE = "Lax"
# Superset's default policy without external hosts: no map tiles, fonts or visitor counts.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": "'none'",
        "script-src": ["'self'", "'strict-dynamic'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "frame_options": "DENY",
    # It listens on loopback only, without TLS.
    "force_https": False,
    "session_cookie_secure": False,
}
