# The BigQuery dataset in which every task and message lands.
#
# Tables that administrators define are made by Chatflow; the base tables are made here, from the
# same files that the code uses, so that they are there before the first row.

locals {
  # Each with its key, which is also what the newest row is picked by.
  keys = { for id, table in var.tables : id => table.tableConstraints.primaryKey.columns }
}

resource "google_bigquery_dataset" "this" {
  project                    = var.project
  dataset_id                 = var.dataset
  location                   = var.location
  description                = "Tasks, messages, history and audit of Chatflow"
  labels                     = var.labels
  delete_contents_on_destroy = !var.deletion_protection

  default_partition_expiration_ms = var.partition_days == null ? null : var.partition_days * 86400000

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "base" {
  #checkov:skip=CKV_GCP_121:Set by the environment: on in prod, which a test asserts; dev must be destroyable.
  for_each = var.tables

  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  description         = each.value.description
  labels              = var.labels
  deletion_protection = var.deletion_protection
  clustering          = each.value.clustering.fields
  schema              = jsonencode(concat(each.value.schema.fields, [var.order_column]))

  time_partitioning {
    type          = each.value.timePartitioning.type
    field         = each.value.timePartitioning.field
    expiration_ms = var.partition_days == null ? null : var.partition_days * 86400000
  }

  table_constraints {
    primary_key {
      columns = local.keys[each.key]
    }
  }

  dynamic "encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = encryption_configuration.value
    }
  }

  lifecycle {
    # Administrators may add columns of their own; Chatflow then patches the table.
    ignore_changes = [schema]
  }
}

# The newest row of each key: the query that Chatflow would make as well (`schema::current_query`).
resource "google_bigquery_table" "current" {
  #checkov:skip=CKV_GCP_121:A view holds nothing.
  #checkov:skip=CKV_GCP_80:A view holds nothing that could be encrypted.
  for_each = var.tables

  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${each.key}_current"
  description         = "The newest row of each ${join(" and ", local.keys[each.key])} of ${each.key}"
  labels              = var.labels
  deletion_protection = false

  view {
    use_legacy_sql = false
    query = join("\n", [
      "SELECT ${join(", ", [for field in each.value.schema.fields : "`${field.name}`"])}",
      "FROM `${var.project}.${var.dataset}.${google_bigquery_table.base[each.key].table_id}`",
      "WHERE TRUE",
      "QUALIFY ROW_NUMBER() OVER (PARTITION BY ${join(", ", [for column in local.keys[each.key] : "`${column}`"])} ORDER BY `sequence` DESC) = 1",
    ])
  }

  lifecycle {
    # Made anew by Chatflow when a table gets more columns.
    ignore_changes = [view]
  }
}

# A role of our own, from `bootstrap/`: BigQuery's let who appends rows also delete tables.
resource "google_bigquery_dataset_iam_binding" "appenders" {
  count = length(var.appenders) > 0 ? 1 : 0

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = var.appender_role
  members    = values(var.appenders)
}

resource "google_bigquery_dataset_iam_binding" "editors" {
  count = length(var.editors) > 0 ? 1 : 0

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataEditor"
  members    = values(var.editors)
}

resource "google_bigquery_dataset_iam_binding" "readers" {
  count = length(var.readers) > 0 ? 1 : 0

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  members    = var.readers
}

# On the project, because a query job belongs to a project and not to a dataset. What it may read
# is decided by the dataset.
resource "google_project_iam_member" "queries" {
  for_each = var.editors

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = each.value
}
