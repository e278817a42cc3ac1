output "id" {
  description = "The secret's id."
  value       = google_secret_manager_secret.this.secret_id
}

output "readers" {
  description = "Who may read its values."
  value       = toset(google_secret_manager_secret_iam_binding.readers.members)
}

output "encryption_keys" {
  description = "The key of Cloud KMS on each part that keeps something."
  value = flatten([
    for replication in google_secret_manager_secret.this.replication : concat(
      [for auto in replication.auto : [for it in auto.customer_managed_encryption : it.kms_key_name]],
      [for managed in replication.user_managed : [for replica in managed.replicas : [for it in replica.customer_managed_encryption : it.kms_key_name]]],
    )
  ])
}
