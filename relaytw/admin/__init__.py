"""The operator's side: HTTP resources over snapshots of the relay."""
