"""Reading Microsoft Graph: snapshots, deltas, single subjects, evidence."""
