variable "project" {
  description = "The project's id."
  type        = string
}

variable "id" {
  description = "The secret's id: a prefix and the name that flows and connections use."
  type        = string
}

variable "readers" {
  description = "Who alone may read its values, as IAM members."
  type        = list(string)

  validation {
    condition     = length(var.readers) > 0
    error_message = "A secret that nobody may read is of no use: name a function, or remove it."
  }
}

variable "writers" {
  description = "Who may add values, as IAM members."
  type        = list(string)
  default     = []
}

variable "locations" {
  description = "Regions that its values are kept in; empty leaves it to Google."
  type        = list(string)
  default     = []
}

variable "kms_key" {
  description = "A key of Cloud KMS that encrypts values; null leaves it to Google."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the secret."
  type        = map(string)
  default     = {}
}
