"""The log and what every node folds from it. The only room of `core` that touches disk and broker.

Does not import `kafka_log`: a town on SQLite never loads a Kafka client.
"""
