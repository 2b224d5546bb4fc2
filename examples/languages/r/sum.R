library(jsonlite)
args <- commandArgs(trailingOnly = TRUE)
x <- read.table("numbers.txt")$V1
source("helper.R")
writeLines(toJSON(list(sum = twice(sum(x)), by = args[1]), auto_unbox = TRUE), "result.txt")
pdf("plot.pdf"); plot(x); invisible(dev.off())
