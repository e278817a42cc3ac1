output "database" {
  description = "The database's id."
  value       = google_firestore_database.this.name
}

output "indexes" {
  description = "How many composite indexes there are."
  value       = length(google_firestore_index.this)
}

output "expiring" {
  description = "Fields by which documents expire."
  value       = sort([for name, field in google_firestore_field.this : name if length(field.ttl_config) > 0])
}

output "protection" {
  description = "What keeps the data: deletion protection, recovery to a point in time, backups."
  value = {
    deletion = google_firestore_database.this.delete_protection_state
    recovery = google_firestore_database.this.point_in_time_recovery_enablement
    backups  = concat(google_firestore_backup_schedule.daily[*].retention, google_firestore_backup_schedule.weekly[*].retention)
  }
}

output "encryption_keys" {
  description = "The key of Cloud KMS on each part that keeps something."
  value       = [for config in google_firestore_database.this.cmek_config : config.kms_key_name]
}
