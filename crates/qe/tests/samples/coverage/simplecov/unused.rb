def unused(n)
  n > 1 ? n : 1
end
