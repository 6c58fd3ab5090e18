require 'simplecov'
SimpleCov.start do
  enable_coverage :branch
  track_files 'unused.rb'
  command_name 'sample'
end
at_exit do
  result = SimpleCov.result
  result.files.each do |file|
    lines, branches = file.coverage_statistics.values_at(:line, :branch)
    STDERR.puts "#{file.project_filename} lines #{lines.covered} of #{lines.total}, branches #{branches.covered} of #{branches.total}"
  end
end
require_relative 'shapes'
p Shape.new(3).area, Shape.new(0).area
