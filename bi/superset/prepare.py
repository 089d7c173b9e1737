"""Bring Superset's database to this version and create its admin, named by the first argument.

Runs in Superset's environment. The password comes through standard input, because other users can
see a command line. One process replaces ``db upgrade``, ``fab create-admin`` and ``init``.
"""

import sys

from flask_migrate import upgrade
from superset.app import create_app


def prepare(username: str, password: str) -> None:
    """Migrate, write roles and permissions, and create the admin or set its password."""
    with create_app().app_context():
        from superset import appbuilder, security_manager

        upgrade()
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        if user := security_manager.find_user(username):
            security_manager.reset_password(user.id, password)
            return
        admin = security_manager.find_role("Admin")
        email = f"{username}@tollgate.invalid"
        if not security_manager.add_user(username, "Tollgate", "Admin", email, admin, password):
            raise SystemExit(f"Superset refused to create its user {username}.")


if __name__ == "__main__":
    prepare(sys.argv[1], sys.stdin.read().strip())
