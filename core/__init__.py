"""The rules of a contact centre, pure, and one room that touches the disk: `core.eventlog`."""
