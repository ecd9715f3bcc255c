"""The Camtrap DP table schemas, vendored: field offices have no network."""
