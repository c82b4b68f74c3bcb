"""Plan the changes to users, groups and memberships, and the leavers."""
