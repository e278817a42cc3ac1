variable "project" {
  description = "The project's id."
  type        = string
}

variable "database" {
  description = "The database's id. A database of its own keeps others in the project apart, and out of reach."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "Use 4 to 63 lower-case letters, digits and hyphens, the first a letter."
  }
}

variable "location" {
  description = "A region such as `asia-east1`, or a multi-region: `nam5`, `eur3`. It cannot be changed."
  type        = string
}

variable "indexes" {
  description = "The content of `infra/firestore/indexes.json`: `indexes` and `fieldOverrides`, as Firebase names them."
  type = object({
    indexes = list(object({
      collectionGroup = string
      queryScope      = string
      fields = list(object({
        fieldPath   = string
        order       = optional(string)
        arrayConfig = optional(string)
      }))
    }))
    fieldOverrides = list(object({
      collectionGroup = string
      fieldPath       = string
      ttl             = optional(bool, false)
      indexes = list(object({
        order       = optional(string)
        arrayConfig = optional(string)
        queryScope  = string
      }))
    }))
  })
}

variable "users" {
  description = "Who may read and write documents, as IAM members, each under a name of your choice."
  type        = map(string)
}

variable "point_in_time_recovery" {
  description = "Whether every version of the last seven days can be read and restored; storage costs more."
  type        = bool
}

variable "backups" {
  description = "Days that daily and weekly backups are kept; 0 makes none."
  type = object({
    daily_days  = number
    weekly_days = number
  })

  validation {
    condition     = alltrue([for days in values(var.backups) : days >= 0 && days <= 98])
    error_message = "Firestore keeps backups for at most 14 weeks: 0 to 98 days."
  }
}

variable "deletion_protection" {
  description = "Whether the database cannot be deleted, by Terraform or anybody."
  type        = bool
}

variable "kms_key" {
  description = "A key of Cloud KMS in the same location that encrypts the database; null leaves it to Google."
  type        = string
  default     = null
}
