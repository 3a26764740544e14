"""How untrusted code is run. Nothing here yet: code tasks arrive with the sandbox, not before it."""
