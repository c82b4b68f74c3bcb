"""From differences to planned changes: users, groups, memberships, leavers."""
