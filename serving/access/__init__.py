"""Who may call the decision API: users, sign-in, tokens, roles and limits."""
