require 'json'
require 'rack'
require_relative 'twice'
sum = File.readlines('numbers.txt').sum(&:to_i)
File.write('result.txt', [twice(sum), Rack::Utils.escape('a b')].to_json)
