variable "project" {
  description = "The project's id."
  type        = string
}

variable "dataset" {
  description = "The dataset's id: letters, digits and underscores."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.dataset))
    error_message = "Use letters, digits and underscores."
  }
}

variable "location" {
  description = "A region such as `asia-east1`, or `US`, `EU`. It cannot be changed."
  type        = string
}

variable "tables" {
  description = "The base tables by id: the files of `infra/bigquery`, as BigQuery's REST API names things."
  type        = any
}

variable "order_column" {
  description = "The hidden column in which the order of landing is kept, as `infra/bigquery/order_column.json` has it."
  type        = any
}

variable "appender_role" {
  description = "The role that appends rows and sees columns: `projects/…/roles/…`."
  type        = string
}

variable "appenders" {
  description = "Who may append rows and nothing else, as IAM members, each under a name of your choice."
  type        = map(string)
}

variable "editors" {
  description = "Who may make tables and views, append, read and query."
  type        = map(string)
}

variable "readers" {
  description = "Who may read rows, such as `group:analysts@example.com`; running queries is theirs to bring."
  type        = list(string)
  default     = []
}

variable "partition_days" {
  description = "Days after which a day's rows are removed; null keeps them."
  type        = number
  default     = null
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete tables."
  type        = bool
}

variable "kms_key" {
  description = "A key of Cloud KMS that encrypts tables; null leaves it to Google."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of dataset and tables."
  type        = map(string)
  default     = {}
}
