"""What any process needs, whatever it does with ZooKeeper: it imports nothing else of this package."""
