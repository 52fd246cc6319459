"""What several tests share: small networks, pictures, records, clusters."""
