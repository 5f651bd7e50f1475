"""The rules of the contract, by what they are about; each is a test that every connector inherits."""
