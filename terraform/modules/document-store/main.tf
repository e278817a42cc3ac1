# The Firestore database that keeps every task, with the indexes that the queries of the code need.

resource "google_firestore_database" "this" {
  project                           = var.project
  name                              = var.database
  location_id                       = var.location
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"

  # With the protection off, `terraform destroy` deletes it; the default would only forget it.
  deletion_policy = "DELETE"

  dynamic "cmek_config" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = cmek_config.value
    }
  }
}

resource "google_firestore_index" "this" {
  for_each = {
    for index in var.indexes.indexes : join(" ", concat([index.collectionGroup], [
      for field in index.fields : "${field.fieldPath}:${coalesce(field.order, field.arrayConfig)}"
    ])) => index
  }

  project     = var.project
  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      order        = fields.value.order
      array_config = fields.value.arrayConfig
    }
  }
}

# What is not queried is not indexed: an index entry costs a write, and a field that grows with time
# slows a collection down. Some fields say when their document expires.
resource "google_firestore_field" "this" {
  for_each = {
    for field in var.indexes.fieldOverrides : "${field.collectionGroup} ${field.fieldPath}" => field
  }

  project    = var.project
  database   = google_firestore_database.this.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order        = indexes.value.order
        array_config = indexes.value.arrayConfig
        query_scope  = indexes.value.queryScope
      }
    }
  }

  dynamic "ttl_config" {
    for_each = each.value.ttl ? [true] : []
    content {}
  }
}

resource "google_firestore_backup_schedule" "daily" {
  count = var.backups.daily_days > 0 ? 1 : 0

  project   = var.project
  database  = google_firestore_database.this.name
  retention = "${var.backups.daily_days * 86400}s"

  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  count = var.backups.weekly_days > 0 ? 1 : 0

  project   = var.project
  database  = google_firestore_database.this.name
  retention = "${var.backups.weekly_days * 86400}s"

  weekly_recurrence {
    day = "SUNDAY"
  }
}

# On the project, because Firestore offers nothing narrower; the condition leaves only this database.
resource "google_project_iam_member" "users" {
  for_each = var.users

  project = var.project
  role    = "roles/datastore.user"
  member  = each.value

  condition {
    title       = "only_${replace(var.database, "-", "_")}"
    description = "Only the database ${var.database}."
    expression  = "resource.name == \"projects/${var.project}/databases/${var.database}\""
  }
}
