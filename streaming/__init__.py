"""The stream: connections to Kafka, validation of messages, the services."""
