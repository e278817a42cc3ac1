output "dataset" {
  description = "The dataset's id."
  value       = google_bigquery_dataset.this.dataset_id
}

output "tables" {
  description = "The base tables."
  value       = sort(keys(google_bigquery_table.base))
}

output "views" {
  description = "The queries of the views."
  value       = { for id, view in google_bigquery_table.current : view.table_id => view.view[0].query }
}

output "appenders" {
  description = "Who may append rows."
  value       = toset(flatten(google_bigquery_dataset_iam_binding.appenders[*].members))
}

output "editors" {
  description = "Who may do everything with rows and tables."
  value       = toset(flatten(google_bigquery_dataset_iam_binding.editors[*].members))
}

output "deletion_protection" {
  description = "Whether Terraform refuses to delete each base table."
  value       = { for id, table in google_bigquery_table.base : id => table.deletion_protection }
}

output "contents_go_with_dataset" {
  description = "Whether destroying the dataset deletes what is in it."
  value       = google_bigquery_dataset.this.delete_contents_on_destroy
}

output "encryption_keys" {
  description = "The key of Cloud KMS on each part that keeps something."
  value = concat(
    [for config in google_bigquery_dataset.this.default_encryption_configuration : config.kms_key_name],
    flatten([for table in google_bigquery_table.base : [for config in table.encryption_configuration : config.kms_key_name]]),
  )
}
